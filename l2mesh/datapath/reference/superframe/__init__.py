"""Super-frames: what the kernel gives in one read, cut for the wire and put together again.

A kernel with segmentation offload hands over up to 64 KiB of one TCP or UDP flow behind one set of
headers. Here it becomes segments, each a frame of its own that any receiver understands, and at the
receiver segments become a super-frame again if its kernel takes them:

* `layout` finds the headers of a TCP or UDP segment, the same way for both directions;
* `split` cuts a super-frame at the size that fits the path;
* `coalesce` merges segments that arrived in one batch.

Nothing here knows of keys, peers or sockets. Nothing raises, whatever the bytes say.
"""
