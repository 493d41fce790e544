"""Talk to the API: settings, errors, decoding, retry policy, pace, and the client. Knows no pandas."""
