"""The AWS emulator: MiniStack with the CloudFormation types it lacks.

Runs in an environment of its own (`local/requirements.txt`), because it pins an older botocore.
"""
