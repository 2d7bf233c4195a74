"""What `llmguard init` writes, one kind of file each: a step looks at the project and drafts a change."""
