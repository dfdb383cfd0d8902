"""The compiled core. It knows no file format and no Python string; the .pxd files are its table of contents."""
