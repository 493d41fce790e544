"""Files for people: CSV, workbooks, HTML pages; and reading them back."""
