"""The guided tour behind `tools/demo`: a mesh on one machine, every claim shown and checked.

    planet 192.0.2.1     controller 192.0.2.2     carol 192.0.2.30
           |                     |                      |
    =======+=========+===========+===========+==========+====   wan
                     |                       |
             nat1 192.0.2.10          nat2 192.0.2.20
                     |                       |
              alice 10.1.0.2           bob 10.2.0.2

`stage` builds that out of namespaces (`tools.lab`) and starts the daemons; `scenes` and
`lan_scenes` are the steps in their order, each of which looks at the result and raises `NotSeen` if
it is not as it must be; `transcript` is what people read and programs get as JSON; `udp` sends and
hears single datagrams.

It is started by `sudo ./tools/demo`, which sets up first.
"""
