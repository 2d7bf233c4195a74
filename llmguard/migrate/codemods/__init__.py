"""The codemods, one target each. They are LibCST transformers of the expression or statement at hand; what they make
is put in its place, so that the bytes around it stay as they are."""
