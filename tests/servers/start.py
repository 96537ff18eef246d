"""Starts FastAPI, nginx and squid on loopback.

    start.py FOLDER KEY

FOLDER holds `server.pem` and `server.key`. Prints one line of JSON once all servers accept
connections: a URL by name, or `{"missing": …}` if a program or package is missing. Ends the servers
when its input ends.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
NGINX = (
    "PLAIN SHORT_KEEP_ALIVE BODY_LIMIT RATE_429 RATE_503 DEAD_UPSTREAM DROPS PREFIX WEB_PAGE TLS_12 "
    "TLS_13 CLIENT_CERTIFICATE"
).split()
SQUID = ["OPEN", "PASSWORD", "CLOSED"]


def missing():
    programs = [name for name in ("nginx", "squid", "openssl") if not shutil.which(name)]
    try:
        import fastapi, uvicorn  # noqa: F401
    except ImportError as error:
        programs.append(error.name)
    return programs


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fill(name, folder, values):
    """Writes a configuration with its words replaced, the longest first."""
    with open(os.path.join(HERE, name)) as file:
        text = file.read()
    for word in sorted(values, key=len, reverse=True):
        text = text.replace(word, str(values[word]))
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def serve(app):
    """Serves an application on a thread; returns its URL."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    thread = threading.Thread(
        target=uvicorn.Server(config).run, kwargs={"sockets": [listener]}, daemon=True
    )
    thread.start()
    return "http://127.0.0.1:%d" % listener.getsockname()[1]


def start_nginx(folder, api):
    ports = {name: free_port() for name in NGINX}
    path = fill("nginx.conf", folder, {**ports, "API": api, "DIR": folder})
    os.mkdir(os.path.join(folder, "html"))
    with open(os.path.join(folder, "html", "index.html"), "w") as page:
        page.write("<!doctype html><title>A web page</title>")
    # Workers need another user only if the folder is theirs; root may keep its own.
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    nginx = ["nginx", "-p", folder, "-c", path, "-e", os.path.join(folder, "nginx.log"), *user]
    # Returns once it listens.
    subprocess.run(nginx, check=True, stdout=sys.stderr)
    tls = ("TLS_12", "TLS_13", "CLIENT_CERTIFICATE")
    urls = {n: "http%s://127.0.0.1:%d" % ("s" * (n in tls), port) for n, port in ports.items()}
    return urls, lambda: subprocess.run([*nginx, "-s", "stop"], check=False)


def start_squid(folder):
    ports = {name: free_port() for name in SQUID}
    helper = "/usr/lib/squid/basic_ncsa_auth"
    path = fill("squid.conf", folder, {**ports, "HELPER": helper, "DIR": folder})
    with open(os.path.join(folder, "hosts"), "w") as hosts:
        hosts.write("127.0.0.1 telemetry.invalid\n")
    with open(os.path.join(folder, "passwords"), "w") as passwords:
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", "a word"], check=True, capture_output=True, text=True
        )
        passwords.write("agent:" + hashed.stdout)
    for name in ("", "hosts", "passwords"):
        os.chmod(os.path.join(folder, name), 0o755)
    squid = subprocess.Popen(["squid", "-N", "-d1", "-f", path], stderr=subprocess.PIPE, text=True)
    log = []
    waiting = len(SQUID)
    while waiting:
        line = squid.stderr.readline()
        log.append(line)
        if not line:
            sys.exit("squid has ended: " + "".join(log))
        waiting -= "Accepting HTTP Socket connections" in line
    # Its pipe must not fill up.
    threading.Thread(target=squid.stderr.read, daemon=True).start()

    def end():
        squid.terminate()
        squid.wait()

    return {name: "http://127.0.0.1:%d" % port for name, port in ports.items()}, end


def main(folder, key):
    if absent := missing():
        return print(json.dumps({"missing": ", ".join(absent)}), flush=True)
    from api import app

    urls = {
        "API": serve(app("Bearer " + key)),
        "BUSY": serve(app("Bearer " + key, busy=2)),
        "OTHER_KEY": serve(app("Bearer another key")),
        "OTHER_HEADER": serve(app(key, header="x-api-key")),
    }
    nginx, end_nginx = start_nginx(folder, urls["API"])
    try:
        squid, end_squid = start_squid(folder)
        try:
            print(json.dumps({**urls, **nginx, **squid}), flush=True)
            sys.stdin.read()
        finally:
            end_squid()
    finally:
        end_nginx()


main(*sys.argv[1:])
