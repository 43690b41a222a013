"""What of the deployed permissions the emulator keeps without enforcing: the one list of it.

This module imports nothing of the emulator, so that tests and documents can read the list.
"""

from __future__ import annotations

from collections.abc import Mapping

UNENFORCED: Mapping[str, str] = {
    "statements of key policies for a service of AWS (log groups, alarms)": "the emulator's services do not "
    "encrypt what they write",
    "key policies on grants, for the guardrails' and the cache's keys": "nothing is encrypted there, and "
    "nobody grants",
    "policies of network endpoints": "processes talk over loopback, past the endpoints",
    "the bucket policy: TLS, and the load balancer's permission to write": "no load balancer runs, and "
    "loopback counts as secure",
    "who may assume a role": "the administrator takes the place of the services that are named",
    "what ECS and VPC flow logs do with their roles": "neither runs here; the calls they document are made "
    "with their roles' credentials instead",
    "what strategies that shift traffic deploy for ECS: the hook's and the load balancer's roles": "the "
    "local environment deploys rolling",
    "what Lambda does to interfaces for functions in the network; that their own code may not": "there are "
    "no interfaces; the rest of the smoke test's role is exercised beside the deployment",
}
"""What → why."""
