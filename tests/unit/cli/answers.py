"""What a daemon answers to each verb, with names that try to be commands of a terminal."""

from typing import Any

NETWORK = "89e92ceee5000001"
FINGERPRINT = "a" * 52
HOSTILE = "bob\x1b]0;owned\x07\u202eevil\n"

STATUS: dict[str, Any] = {
    "schema": "l2mesh.status/1",
    "address": "89e92ceee5",
    "fingerprint": FINGERPRINT,
    "version": "1",
    "engine": "reference",
    "online": True,
    "planets": [
        {"address": "1111111111", "endpoint": "192.0.2.1:9993", "rtt_ms": 1.26, "state": "up"}
    ],
    "offloads": {
        "udp_gso": {"on": True, "why": ""},
        "udp_gro": {"on": False, "why": "switched off by the operator"},
    },
    "health": ["the reference engine is slow"],
}
NETWORK_ENTRY = {
    "id": NETWORK,
    "name": HOSTILE,
    "status": "ok",
    "reason": "",
    "mac": "02:00:00:00:00:01",
    "device": "l2m0",
    "mtu": 1500,
    "addresses": ["10.9.0.1/24"],
    "bridge": None,
    "revision": 3,
}
PEER = {
    "address": "2222222222",
    "name": HOSTILE,
    "path": "relay",
    "endpoint": "192.0.2.1:9993",
    "via": "1111111111",
    "rtt_ms": None,
    "loss": 0.25,
    "cipher": "aes_256_gcm",
    "tx_bytes": 1234567,
    "rx_bytes": 0,
    "networks": [NETWORK],
}
ENTRY = {
    "network": NETWORK,
    "vlan": 0,
    "mac": "02:00:00:00:00:01",
    "peer": "local",
    "age_s": 1.5,
    "static": False,
}
PONG = {
    "schema": "l2mesh.ping/1",
    "who": "bob",
    "rtt_ms": 1.24,
    "path": "direct",
    "endpoint": "192.0.2.9:9993",
    "via": None,
}
CANDIDATE = {
    "path": "direct",
    "endpoint": "192.0.2.9:9993",
    "via": None,
    "source": "told",
    "state": "in_use",
    "reason": "the direct path that answered first",
    "probes": 7,
    "answers": 6,
    "probed_s_ago": 3.2,
    "answered_s_ago": 400.0,
    "rtt_ms": 12.34,
}
PATH = {
    "schema": "l2mesh.path/1",
    "who": "bob",
    "address": "2222222222",
    "fingerprint": FINGERPRINT,
    "name": HOSTILE,
    "session": "live",
    "path": "relay",
    "endpoint": "192.0.2.1:9993",
    "via": "1111111111",
    "rtt_ms": 12.34,
    "loss": 0.25,
    "retry_s": 7.4,
    "summary": "relayed while direct paths are being tried",
    "told": ["192.0.2.7:9993"],
    "candidates": [
        CANDIDATE,
        {**CANDIDATE, "path": "relay", "via": "1111111111", "answered_s_ago": None},
    ],
}
FAMILY = {
    "works": True,
    "has_address": True,
    "local": ["10.0.0.5:9993"],
    "public": ["198.51.100.7:9993"],
    "nat": "independent",
    "keeps_port": True,
}
GUARD = {
    "id": NETWORK,
    "bridge": True,
    "vlans": [
        {
            "vlan": 7,
            "state": "blocked",
            "forwarder": "89e92ceee5",
            "since_s": 3.2,
            "neighbours": ["89e92ceee5"],
            "reason": "another one of 2 bridges on our LAN has the highest rank",
        }
    ],
    "loops": [
        {
            "kind": "station_flaps",
            "vlan": 0,
            "mac": "52:54:00:00:aa:01",
            "count": 9,
            "first_s": 20.0,
            "last_s": 1.0,
        }
    ],
}
NETCHECK = {
    "schema": "l2mesh.netcheck/1",
    "address": "89e92ceee5",
    "online": True,
    "udp": True,
    "ipv4": FAMILY,
    "ipv6": {**FAMILY, "works": False, "has_address": False, "public": [], "nat": None},
    "planets": [
        {
            "address": "1111111111",
            "endpoint": "192.0.2.1:9993",
            "state": "up",
            "udp": "answers",
            "tcp": {"9993": "open", "443": "refused"},
            "rtt_ms": 20.1,
            "rtt_max_ms": 25.0,
            "loss": 0.2,
            "sent": 5,
            "observed": "198.51.100.7:9993",
        }
    ],
    "port_mapping": {
        "enabled": True,
        "protocol": "nat-pmp",
        "gateway": "192.168.1.1",
        "outside": "198.51.100.7:9994",
        "lifetime_s": 1200,
        "restarts": 0,
        "problem": None,
    },
    "pinhole": {"enabled": True, "outside": None, "problem": "fe80::1%eth0 does not answer"},
    "blocked": [],
    "lan": {"89e92ceee5": "192.168.1.5:9993"},
    "advice": ["do something about it"],
}
ANSWERS: dict[str, dict[str, Any]] = {
    "status": STATUS,
    "networks": {"schema": "l2mesh.networks/1", "networks": [NETWORK_ENTRY]},
    "peers": {"schema": "l2mesh.peers/1", "peers": [PEER]},
    "fdb": {"schema": "l2mesh.fdb/1", "entries": [ENTRY]},
    "fdb_add": {"schema": "l2mesh.fdb/1", "entries": [ENTRY]},
    "fdb_del": {"schema": "l2mesh.fdb/1", "entries": []},
    "counters": {"schema": "l2mesh.counters/1", "counters": {"a": 1}, "drops": {"replay": 2}},
    "join": {"schema": "l2mesh.join/1", **NETWORK_ENTRY},
    "leave": {"schema": "l2mesh.leave/1", "id": NETWORK},
    "set": {"schema": "l2mesh.set/1", **NETWORK_ENTRY},
    "ping": PONG,
    "path": PATH,
    "netcheck": NETCHECK,
    "guard": {"schema": "l2mesh.guard/1", "networks": [GUARD]},
    "groups": {
        "schema": "l2mesh.groups/1",
        "groups": [
            {
                "network": NETWORK,
                "vlan": 0,
                "group": "239.1.2.3",
                "members": ["local", "89e92ceee5"],
            }
        ],
        "port": [
            {
                "network": NETWORK,
                "vlan": 0,
                "version": 4,
                "state": "listed",
                "router": False,
                "querier": "local",
            }
        ],
    },
}
