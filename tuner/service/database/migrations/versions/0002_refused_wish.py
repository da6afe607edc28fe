"""Of a search that is not what it was: what it was refused to do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("searches", sa.Column("refused_wish", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("searches", "refused_wish")
