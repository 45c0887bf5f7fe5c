"""`gradjury init`: a package is read, never run, and a first test file is written for the layers found in it."""
