"""What this project demands of every resource, beyond what AWS and the rule packs demand.

Each rule is a pure function over a synthesised template. `plugin.HouseRules` runs them in every synthesis; a
finding is accepted like any other, through `stacks/acknowledgements.py`, as `House::<rule>`.
"""
