"""Wire formats: one message family a file, and nothing here decides anything.

A format is a frozen value with `parse(reader)`, `emit(writer)` and `encoded_len`, in network byte
order. Parsing is total: any bytes give a value or `MalformedPacket`, and no length or count is
trusted before it is checked against what is there. Code points nobody knows yet stay
representable, so that an old node forwards or refuses them knowingly.
"""
