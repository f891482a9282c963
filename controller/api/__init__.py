"""What administrators and monitors may ask a running controller.

`methods` answers the command line through the Unix socket of the state directory, in the framing of
`l2mesh.service.api`; `documents` has the words of the answers; `health` answers monitors over HTTP.
"""
