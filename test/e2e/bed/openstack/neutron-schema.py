"""Makes Neutron's tables from its models, as SQLite cannot run its migrations: neutron-schema.py DATABASE-URL"""
import sys

from neutron.db.migration.models import head  # noqa: F401, every model
from neutron_lib.db import model_base
from sqlalchemy import create_engine

model_base.BASEV2.metadata.create_all(create_engine(sys.argv[1]))
