"""What tasks handle and where it goes: one kind of geometry per file, each with its fields in YAML."""
