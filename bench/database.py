"""A private cluster with albert, and what is measured in it."""
import contextlib
import os
import pwd
import re
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Cluster:
    """As root the server runs as the user postgres, like the tests'."""

    def __init__(self, models):
        self.directory = tempfile.mkdtemp(prefix="albert-bench.")
        os.chmod(self.directory, 0o755)
        self.user = "postgres" if os.getuid() == 0 else None
        self.bin = subprocess.run(["sh", os.path.join(ROOT, "tools/private-server.sh"), os.path.join(self.directory, "server")],
                                  cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        self.data = os.path.join(self.directory, "data")
        os.mkdir(self.data)
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(self.data, entry.pw_uid, entry.pw_gid)
        self.run("initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", "postgres")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.data}'\nport = 5433\nshared_buffers = '256MB'\n"
                       f"jit = off\nalbert.model_path = '{models}'\nmax_parallel_workers_per_gather = 0\nautovacuum = off\n")
        self.run("pg_ctl", "-D", self.data, "-l", os.path.join(self.data, "log"), "-w", "start")
        self.psql("CREATE EXTENSION albert")

    def run(self, program, *arguments):
        command = [os.path.join(self.bin, program), *arguments]
        if self.user:
            command = ["runuser", "-u", self.user, "--"] + command
        return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def command(self, *options):
        return [os.path.join(self.bin, "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.data, "-p", "5433", "-U", "postgres",
                *options, "postgres"]

    def psql(self, sql, stdin=None, load=False):
        """load: in a session that knows albert's settings already."""
        first = ["-c", "LOAD 'albert'"] if load else []
        result = subprocess.run(self.command(*first, "-c", sql), input=stdin, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr)
        return result.stdout.strip()

    def set_server(self, name, value):
        """A setting of the whole server, once sessions that begin have it."""
        self.psql(f"ALTER SYSTEM SET {name} = '{value}'", load=True)
        self.psql("SELECT pg_reload_conf()")
        while self.psql(f"SELECT current_setting('{name}', true)") != value:
            time.sleep(0.02)

    def script(self, sql):
        """Statements in one session, with \\timing; returns the milliseconds of each."""
        result = subprocess.run(self.command("-f", "-"), input="\\timing on\n" + sql, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr)
        return [float(ms) for ms in re.findall(r"^Time: ([0-9.]+) ms", result.stdout, re.M)]

    def stop(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                pid = int(file.readline())
            self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
            with contextlib.suppress(ChildProcessError):    # so that its time counts as ours
                os.waitpid(pid, 0)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def load_texts(cluster, table, texts):
    """Few rows a page: parallel workers are handed out pages, as evenly as in a table that is much larger."""
    cluster.psql(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id integer, body text) WITH (fillfactor = 10)")
    cluster.psql(f"COPY {table} FROM STDIN", "".join(f"{i}\t{text}\n" for i, text in enumerate(texts)))
    cluster.psql(f"VACUUM ANALYZE {table}")


# What people do with a table besides a SELECT: for every row the model once.  The last statement is timed.
MADE = "DROP TABLE IF EXISTS made; CREATE TABLE made AS SELECT id, body FROM texts; "
EMBEDDING = "albert_embedding(body, 'MODEL')"
SIMILARITY = "albert_similarity(body, 'a sentence of some words', 'MODEL')"
EVERYDAY = {
    "SELECT albert_fill_mask": "SELECT count(albert_fill_mask(body || ' [MASK].', 'MODEL')) FROM texts",
    "COPY, a generated column": f"""{MADE} ALTER TABLE made ADD embedding real[] GENERATED ALWAYS AS ({EMBEDDING}) STORED;
COPY made (id, body) TO 'FILE'; TRUNCATE made; COPY made (id, body) FROM 'FILE'""",
    "ALTER TABLE ADD, a generated column": f"{MADE} ALTER TABLE made ADD embedding real[] GENERATED ALWAYS AS ({EMBEDDING}) STORED",
    "CREATE INDEX, on an expression": f"{MADE} CREATE INDEX ON made ({EMBEDDING})",
    "CALL albert_embed_table": f"""{MADE} ALTER TABLE made ADD embedding real[];
CALL albert_embed_table('made', source => 'body', target => 'embedding', model => 'MODEL')""",
    "WHERE albert_similarity": f"SELECT count(*) FROM texts WHERE {SIMILARITY} > 0.5",
    "ORDER BY albert_similarity": f"SELECT id FROM texts ORDER BY {SIMILARITY} DESC LIMIT 10",
}


def seconds(cluster, model, precision, statement, workers=0, batching=True):
    """Seconds of the last of some statements, the model loaded before."""
    cluster.set_server("albert.precision", precision)
    statement = statement.replace("MODEL", model).replace("FILE", os.path.join(cluster.data, "copied"))
    return cluster.script(f"""
SET albert.enable_batching = {'on' if batching else 'off'};
SET max_parallel_workers_per_gather = {workers};
SET max_parallel_maintenance_workers = {workers};
SET parallel_setup_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT albert_embedding('warm up', '{model}') IS NULL;
{statement};
""")[-1] / 1000


def call_seconds(cluster, model, precision, function, text, calls=30):
    """Seconds of one call with one text, in a session that has called it before: the median."""
    cluster.set_server("albert.precision", precision)
    times = cluster.script(f"SELECT {function}($$ {text} $$, '{model}') IS NULL;\n" * (calls + 3))[3:]
    return statistics.median(times) / 1000


def make_plpython(cluster, directory, site_packages):
    """A PL/Python function that calls transformers for each row, what in-database Python does."""
    cluster.psql("CREATE EXTENSION IF NOT EXISTS plpython3u")
    cluster.psql(f"""
CREATE OR REPLACE FUNCTION py_embedding(body text) RETURNS real[] LANGUAGE plpython3u AS $py$
if 'model' not in SD:
    import sys
    sys.path.insert(0, '{site_packages}')
    import torch, transformers
    torch.set_num_threads(1)
    SD['torch'] = torch
    SD['tokenizer'] = transformers.AutoTokenizer.from_pretrained('{directory}')
    SD['model'] = transformers.AutoModel.from_pretrained('{directory}').eval()
with SD['torch'].inference_mode():
    hidden = SD['model'](**SD['tokenizer'](body, truncation=True, return_tensors='pt')).last_hidden_state
return hidden[0].mean(0).tolist()
$py$""")


def plpython_seconds(cluster, table):
    """The same rows, one by one as PL/Python does it."""
    return cluster.script(f"""
SELECT py_embedding('warm up') IS NULL;
SELECT count(py_embedding(body)) FROM {table};
""")[-1] / 1000


def first_answer(cluster, model, text, sessions=9):
    """Milliseconds of a new session's first and third call, the model in memory: medians."""
    times = [cluster.script(f"SELECT albert_embedding($$ {text} $$, '{model}') IS NULL;\n" * 3) for _ in range(sessions)]
    return sorted(t[0] for t in times)[sessions // 2], sorted(t[2] for t in times)[sessions // 2]


def memory_of_sessions(cluster, call, n):
    """Private bytes of each of n sessions that have made the call."""
    processes = []
    try:
        for _ in range(n):
            process = subprocess.Popen(cluster.command("-f", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(process)
            process.stdin.write(f"SELECT {call} IS NULL; SELECT pg_backend_pid();\n")
            process.stdin.flush()
        # the answers last, so that the sessions start together
        pids = [[process.stdout.readline(), int(process.stdout.readline())][1] for process in processes]
        time.sleep(0.5)
        usage = []
        for pid in pids:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                rollup = dict(re.findall(r"^(\w+): +(\d+) kB", file.read(), re.M))
            usage.append(1024 * (int(rollup["Private_Clean"]) + int(rollup["Private_Dirty"])))
        return usage
    finally:
        for process in processes:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def shared_bytes(cluster, model, precision):
    return int(cluster.psql(f"SELECT shared_bytes FROM albert_models WHERE name = '{model}' AND precision = '{precision}'"))
