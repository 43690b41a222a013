"""The table of flags, and the two roles that connect with passwords signed by IAM."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None

_ROLES = ("flag_reader", "flag_writer")

# Roles belong to the server, not to the database: a restored database may find them there.
_CREATE_ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} LOGIN;
  END IF;
END $$
"""

_ADMIT_ROLES_ALONE = """
DO $$ BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO flag_reader, flag_writer', current_database());
END $$
"""


def upgrade() -> None:
    """Reading and writing are apart; neither role makes, deletes or sees anything else."""
    op.create_table(
        "flags",
        sql.Column("flag", sql.Text, primary_key=True),
        sql.Column("value", sql.Text, nullable=False),
        sql.Column("changed_at_ms", sql.BigInteger, nullable=False),
        sql.Column("changed_by", sql.Text, nullable=False),
        sql.Column("why", sql.Text, nullable=False),
        schema="public",
    )
    for role in _ROLES:
        op.execute(_CREATE_ROLE.format(role=role))
        op.execute(f"GRANT rds_iam TO {role}")
    op.execute(_ADMIT_ROLES_ALONE)
    op.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    op.execute("GRANT USAGE ON SCHEMA public TO flag_reader, flag_writer")
    op.execute("GRANT SELECT ON public.flags TO flag_reader")
    op.execute("GRANT SELECT, INSERT, UPDATE ON public.flags TO flag_writer")
