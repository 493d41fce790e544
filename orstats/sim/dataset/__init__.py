"""A made-up account: its conversations, records and contents, all drawn from one seed."""
