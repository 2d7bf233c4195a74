"""llmguard: every language-model call found, moved to a tracked door, and priced.

Importing this package loads nothing else; the parts load when they are used.
"""

__version__ = "0.1.0"
