"""Whether other machines see a folder, as far as its file system tells."""

from __future__ import annotations

from pathlib import Path

import psutil

SHARED = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"),
    *("orangefs", "panfs", "smb3", "smbfs", "virtiofs", "wekafs"),
}
"""file systems that several machines mount, as the kernel names them; those of programs (`fuse.*`) count as well"""


def is_shared(folder: Path) -> bool:
    """Whether a folder, which need not be there yet, is on a file system that other machines can have mounted too."""
    place = folder.absolute().resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    kind = next((mounts[above] for above in (place, *place.parents) if above in mounts), "")
    return kind in SHARED or kind.startswith("fuse.")
