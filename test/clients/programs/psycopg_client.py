"""One query by psycopg; the variable that holds the URL is argv[1]."""

import json
import os
import sys

import psycopg

try:
    with psycopg.connect(os.environ[sys.argv[1]], connect_timeout=10) as connection:
        print(json.dumps({"row": connection.execute("select current_user || '@' || current_database()").fetchone()[0]}))
except psycopg.Error as error:
    print(json.dumps({"error": str(error)}))
