"""Where a project is: the work tree around a folder. A `.git` makes one; nothing is asked of git."""

from __future__ import annotations

import os


def is_top(folder: str) -> bool:
    """Whether a folder is the top of a work tree: it has a repository's `.git`, or the file that says where it is."""
    return os.path.exists(os.path.join(folder, ".git"))


def top_above(folder: str) -> str:
    """The nearest top of a work tree at or above a folder, as its path is written; "" outside of one."""
    while not is_top(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def work_tree(folder: str) -> str:
    """The real path of the top of the work tree around a folder, "" outside of one.

    It has a `.git`: a folder that merely looks like a bare repository is none, whatever git thinks of it.
    """
    return top_above(os.path.realpath(folder))


def project_of(folder: str) -> str:
    """The real path of the project that a folder belongs to: its work tree, else the working directory when the folder
    lies below it, else the folder itself."""
    top = work_tree(folder)
    if top:
        return top
    real, here = os.path.realpath(folder), os.path.realpath(os.curdir)
    return here if f"{real}{os.sep}".startswith(here.rstrip(os.sep) + os.sep) else real


def is_inside(path: str, folder: str = "") -> bool:
    """Whether a file lies, behind all links, in the project that a folder belongs to (by default the folder that its
    path names). What lies in a `.git` there is git's, not the project's."""
    project = project_of(folder or os.path.dirname(os.path.abspath(path))).rstrip(os.sep) + os.sep
    real = os.path.realpath(path)
    return real.startswith(project) and ".git" not in real[len(project) :].casefold().split(os.sep)
