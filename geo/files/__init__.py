"""Files in: the only room besides `geo.boundaries` that opens files, and believes none unseen.

`understand` says what a file is and what is in it; `read` returns a layer with mapped columns
alone, in degrees on WGS 84. Both do it in a process of its own behind walls (`jail`), where every
format is checked before its reader sees it; columns about persons never leave (`guard`).
"""
