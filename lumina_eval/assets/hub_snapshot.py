"""A repository of the Hugging Face hub as an asset: its files at one commit, checked by the hub's own sums.

The hub tells for each file either a sha256 (large files) or git's id; both are compared with what came, and
written to the lock, so that a later check needs no network. Nothing else imports huggingface_hub's download.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import TYPE_CHECKING

from rich.console import Console

from lumina_eval.assets.catalogue import Asset, Hub, Lock, read_lock
from lumina_eval.assets.download import DownloadError
from lumina_eval.assets.fetching import FileState, check_file, label_of, write_lock
from lumina_eval.assets.pins import File, Pin
from lumina_eval.errors import UserError, first_line

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


def fetch_snapshot(asset: Asset, console: Console) -> list[FileState]:
    """Bring a repository's files as they are at the pinned commit; the state of each.

    Raises DownloadError if the hub cannot be reached or has no such repository, UserError if it has another
    commit than the pin.
    """
    from huggingface_hub import snapshot_download

    hub = _hub(asset)
    commit, files = _listing(asset, hub)
    before = [check_file(asset, file, file) for file in files]
    write_lock(asset, Lock(revision=commit, files={file.name: _pin(file) for file in files}))
    if all(one.state == "right" for one in before):
        return [dataclasses.replace(one, state="already right") for one in before]
    for one in before:
        if one.state == "wrong":  # or the hub's library may take it for what it brought before
            (asset.folder / one.file).unlink()
    console.print(
        f"{label_of(asset, '')} {len(files)} files of {hub.repository} at {commit[:8]}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    try:
        snapshot_download(
            hub.repository,
            repo_type=hub.kind,
            revision=commit,
            allow_patterns=list(hub.patterns) or None,
            local_dir=asset.folder,
        )
    except Exception as error:
        raise _unreachable(asset, hub, error) from error
    states = [check_file(asset, file, file) for file in files]
    trusted = hub.commit_prefix is None
    return [
        dataclasses.replace(one, state="fetched", trusted=trusted) if one.state == "right" else one
        for one in states
    ]


def _listing(asset: Asset, hub: Hub) -> tuple[str, list[File]]:
    """Return the commit that the revision is now, and its files with the hub's sums."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api, wanted = HfApi(), read_lock(asset).revision or asset.revision
    try:
        commit = str(api.repo_info(hub.repository, repo_type=hub.kind, revision=wanted).sha)
        tree = api.list_repo_tree(hub.repository, repo_type=hub.kind, revision=commit, recursive=True)
        there = [one for one in tree if isinstance(one, RepoFile)]
    except Exception as error:
        raise _unreachable(asset, hub, error) from error
    if hub.commit_prefix and not commit.startswith(hub.commit_prefix):
        raise UserError(
            f"expected {hub.repository} at commit {hub.commit_prefix}, found {commit}: it was changed since "
            "it was pinned; fix: report it, or give the files that you have with --images or --data"
        )
    return commit, [
        _file(one)
        for one in there
        if not hub.patterns or any(fnmatch.fnmatch(one.path, pattern) for pattern in hub.patterns)
    ]


def _file(listed: RepoFile) -> File:
    large = listed.lfs
    return File(
        name=listed.path,
        size=listed.size,
        sha256=large.sha256 if large else None,
        git_blob=None if large else listed.blob_id,
    )


def _pin(file: File) -> Pin:
    return Pin(**file.model_dump(include=set(Pin.model_fields)))


def _hub(asset: Asset) -> Hub:
    if asset.hub is None:
        raise ValueError(f"{asset.name} is no repository of the hub")
    return asset.hub


def _unreachable(asset: Asset, hub: Hub, error: Exception) -> DownloadError:
    return DownloadError(
        f"cannot get {hub.repository} from the hub: {first_line(error)}; what came is kept; "
        f"fix: lumina-eval data fetch {asset.name}, which goes on from there"
    )
