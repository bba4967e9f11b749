"""Where the game server's files come from: SFTP in production, a plain folder for replays."""

import logging
import re
import shutil
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger("bot.ssh")

STATS_DOWNLOAD_NAME = re.compile(r"^\d{4}-\d{2}-\d{2}-\d{6}-[A-Za-z0-9_.+-]+-round-\d+(-endstats)?\.txt$")
GAMETIME_DOWNLOAD_NAME = re.compile(r"^gametime-[A-Za-z0-9_-]+-R\d+-\d+\.json$")
TIMEOUT_SECONDS = 15


class RemoteFile(NamedTuple):
    name: str
    size: int


class FileSource(ABC):
    """Lists and fetches files of one server; calls may block, so the bot runs them in a thread."""

    def __init__(self, gametimes_allowed=False):
        self.gametimes_allowed = gametimes_allowed

    @abstractmethod
    def list_files(self, folder):
        """All plain files in `folder`."""

    @abstractmethod
    def _fetch(self, folder, name, target):
        """Copy one file to the local path `target`."""

    def close(self):  # noqa: B027 - most sources hold nothing open
        """Drop the connection, if there is one."""

    def download(self, folder, name, local_dir):
        """Fetch one file by name; the local file appears complete or not at all."""
        allowed = STATS_DOWNLOAD_NAME.match(name) or (self.gametimes_allowed and GAMETIME_DOWNLOAD_NAME.match(name))
        if not allowed:
            raise ValueError(f"Unexpected stats filename format: {name}")
        local_dir = Path(local_dir)
        local_dir.mkdir(parents=True, exist_ok=True)
        target = local_dir / name
        partial = target.with_name(f".{name}.part")
        try:
            self._fetch(folder, name, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target


class DirectorySource(FileSource):
    def list_files(self, folder):
        return [RemoteFile(p.name, p.stat().st_size) for p in Path(folder).iterdir() if p.is_file()]

    def _fetch(self, folder, name, target):
        shutil.copyfile(Path(folder) / name, target)


class SSHSource(FileSource):
    """One SFTP session, reopened after an error. Unknown host keys are refused."""

    def __init__(self, host, port, user, key_path, known_hosts, gametimes_allowed=False):
        super().__init__(gametimes_allowed)
        self.host, self.port, self.user = host, port, user
        self.key_path = str(Path(key_path).expanduser())
        self.known_hosts = str(Path(known_hosts).expanduser())
        self._client = None
        self._sftp = None
        self._lock = threading.RLock()

    def _session(self):
        if self._sftp is not None:
            return self._sftp
        import paramiko

        client = paramiko.SSHClient()
        client.load_host_keys(self.known_hosts)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            self.host,
            port=self.port,
            username=self.user,
            key_filename=self.key_path,
            allow_agent=False,
            look_for_keys=False,
            timeout=TIMEOUT_SECONDS,
        )
        self._client = client
        self._sftp = client.open_sftp()
        self._sftp.get_channel().settimeout(TIMEOUT_SECONDS)
        logger.info(f"SSH connected to {self.user}@{self.host}:{self.port}")
        return self._sftp

    def close(self):
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = self._sftp = None

    def _guarded(self, call):
        """A missing file keeps the session, everything else drops it."""
        with self._lock:
            try:
                return call(self._session())
            except FileNotFoundError:
                raise
            except Exception as e:
                self.close()
                raise ConnectionError(f"{type(e).__name__}: {e}") from e

    def list_files(self, folder):
        entries = self._guarded(lambda sftp: sftp.listdir_attr(folder))
        return [RemoteFile(entry.filename, entry.st_size or 0) for entry in entries]

    def _fetch(self, folder, name, target):
        self._guarded(lambda sftp: sftp.get(f"{folder}/{name}", str(target)))


def make_source(config):
    if config.stats_source == "directory":
        return DirectorySource(config.gametimes_name_allowed)
    return SSHSource(
        config.ssh_host,
        config.ssh_port,
        config.ssh_user,
        config.ssh_key_path,
        config.ssh_known_hosts,
        config.gametimes_name_allowed,
    )
