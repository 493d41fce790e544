"""The field table, and the frame made of it: records to columns, derived figures, views."""
