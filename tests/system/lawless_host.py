"""`l2meshd` of a hostile member: its engine limits nothing of what it floods. Options as there."""

from l2mesh.credential.config import NetworkConfig
from l2mesh.datapath.interface import Limits
from l2mesh.node import port
from l2mesh.service.main import main


def no_limits(config: NetworkConfig) -> Limits:
    return Limits(None, None, None)


port._limits = no_limits

if __name__ == "__main__":
    main()
