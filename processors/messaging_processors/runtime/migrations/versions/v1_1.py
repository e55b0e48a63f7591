"""Which messages somebody may have sent: those never expire."""

import sqlalchemy as sa
from alembic import op

revision = "1.1"
down_revision = "1.0"


def upgrade() -> None:
    op.add_column("messages", sa.Column("possibly_sent", sa.Boolean, nullable=False, server_default=sa.false()))
