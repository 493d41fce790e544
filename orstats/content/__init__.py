"""One generation whole: its typed record, and its stored prompt and completion."""
