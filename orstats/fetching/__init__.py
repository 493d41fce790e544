"""Many ids in, one frame out: which is asked next, the threads that ask, the progress bar."""
