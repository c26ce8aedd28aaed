"""Keeping: init, register, compile, import, export."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from detent.cli.output import when
from detent.cli.progress import Progress
from detent.cli.running import Call, Command
from detent.domain.version import format_size
from detent.errors import InvalidError

if TYPE_CHECKING:
    import argparse


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="default: .detent/ here")


def _init(call: Call) -> None:
    import os

    from detent.opening import connect
    from detent.settings import FOLDER

    url = call.folder or call.url or os.environ.get("DETENT_URL") or FOLDER
    registry = connect(url, user=call.user)
    made = registry.create()
    call.output.fields(location=registry.location, made=made)
    if made:
        call.output.good(f"{registry.location}: an empty registry")
        call.output.aside("  next: detent register MODEL FILE")
    else:
        call.output.line(f"{registry.location} is a registry already; nothing was changed")


def _register_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="its name; made when it does not exist")
    parser.add_argument("path", metavar="FILE", help="a model's file, or a folder; kept as it is")
    parser.add_argument("--format", metavar="NAME", help="default: by the file's ending")
    parser.add_argument(
        "--data", action="append", metavar="SOURCE", help="what it was trained on: a file or URL"
    )
    parser.add_argument("--parent", action="append", default=[], metavar="REF", help="made from")
    parser.add_argument("--note", metavar="TEXT", help="a remark, found by versions --search")


def _register(call: Call) -> None:
    with Progress(call.output, "registering", call.path) as progress:
        version = call.registry.register_file(
            call.model,
            call.path,
            format=call.format,
            data=call.data,
            parents=call.parent,
            note=call.note,
            progress=progress,
            dry_run=call.dry_run,
        )
    call.output.fields(version=version, dry_run=call.dry_run)
    facts = [format_size(version.size_bytes), version.format]
    facts += [f"code {version.code}"] if version.code else []
    facts += [f"data {version.data}"] if version.data else []
    verb = "would be registered" if call.dry_run else "registered"
    call.output.good(f"{version.name} {verb}: {', '.join(facts)}")
    if call.dry_run:
        return
    if version.number == 1:
        call.output.aside(f"  next: detent activate {version.name} production")
    else:
        call.output.aside(
            f"  next: detent diff {version.model}/{version.number - 1} {version.name}"
        )


def _compile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="churn/7, churn@production")
    parser.add_argument("--with", dest="compiler", default="auto", metavar="NAME", help="treelite")
    parser.add_argument(
        "--data", metavar="FILE|URL", help="rows to compare on; default: the version's sample"
    )
    parser.add_argument("--target", metavar="COLUMN", help="of --data: the true values, left out")
    parser.add_argument("--note", metavar="TEXT", help="default: of which version it is a form")
    parser.add_argument("--trusted", action="store_true", help="run whatever the files carry")


def _compile(call: Call) -> None:
    sample = None
    if call.data or call.target:
        if not (call.data and call.target):
            raise InvalidError(
                "--data and --target belong together; nothing was registered",
                hint="--data holdout.csv --target churned",
            )
        from detent.data.load import read_rows

        sample, _ = read_rows(call.data, call.target)
    version = call.registry.compile(
        call.reference,
        compiler=call.compiler,
        sample=sample,
        note=call.note,
        trusted=call.trusted,
        dry_run=call.dry_run,
    )
    call.output.fields(version=version, dry_run=call.dry_run)
    verb = "would be registered" if call.dry_run else "registered"
    call.output.good(f"{version.name} {verb}: {version.note}")
    if not call.dry_run:
        call.output.aside(f"  next: detent show {version.name}")


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--model", metavar="NAME", help="default: what stands before _v1")


def _import(call: Call) -> None:
    plan = call.registry.plan_import(call.folder, model=call.model)
    call.output.table(
        ("FILE", "BECOMES", "FORMAT", "MODIFIED (UTC)"),
        [
            (
                item.path.name,
                f"the next version of {item.model}",
                item.format,
                when(item.modified_at),
            )
            for item in plan
        ],
    )
    call.output.aside("the files are kept as they are, and not loaded: no pickle is run")
    imported = []
    if not call.dry_run:
        if not call.yes:
            _ask(len(plan))
        imported = call.registry.import_folder(call.folder, model=call.model)
    call.output.fields(
        dry_run=call.dry_run,
        plan=[
            {"file": item.path.name, "model": item.model, "format": item.format} for item in plan
        ],
        versions=[version for _, version in imported],
    )
    for path, version in imported:
        call.output.good(f"{path.name} is {version}")


def _ask(n: int) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidError(
            "nobody is there to confirm the plan; nothing was imported",
            hint="add --yes to confirm, or --dry-run to see it only",
        )
    print(f"import {n} files? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidError("it was not confirmed; nothing was imported")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF")
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="a new folder; with --kserve a file"
    )
    parser.add_argument(
        "--kserve", action="store_true", help="write an InferenceService that serves an alias"
    )
    parser.add_argument("--image", metavar="NAME", help="of its containers")
    parser.add_argument(
        "--secret", metavar="NAME", help="a Kubernetes secret for their environment"
    )
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="pods (default: 1)")


def _export(call: Call) -> None:
    if call.kserve:
        _export_kserve(call)
        return
    if call.folder is None:
        raise InvalidError(
            "no folder was named; nothing was written",
            hint=f"detent export {call.reference} FOLDER",
        )
    paths = call.registry.export(call.reference, call.folder, dry_run=call.dry_run)
    call.output.fields(paths=[str(path) for path in paths], dry_run=call.dry_run)
    verb = "would be written" if call.dry_run else "written"
    call.output.good(f"{call.reference}: {len(paths)} files {verb} into {call.folder}")
    for path in paths:
        call.output.line(f"  {path}")


def _export_kserve(call: Call) -> None:
    """Write an `InferenceService`; its pods are told of the registry as this call was."""
    from detent.integrations.kserve import inference_service, to_yaml
    from detent.settings import read_settings, take_parameter

    settings = read_settings(url=call.url, user=call.user)
    url, blobs = take_parameter(settings.url, "blobs")
    service = inference_service(
        call.reference,
        url=url,
        blobs=blobs or settings.blobs,
        image=call.image or "",
        secret=call.secret,
        replicas=call.replicas,
    )
    call.registry.status(service["metadata"]["annotations"]["detent/alias"])
    call.output.fields(inference_service=service, dry_run=call.dry_run)
    text = to_yaml(service)
    path = call.folder or "-"
    if path == "-":
        for line in text.splitlines():
            call.output.line(line)
    elif call.dry_run:
        call.output.good(f"{call.reference}: an InferenceService would be written into {path}")
    else:
        try:
            with open(path, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise InvalidError(f"{path} cannot be written: {error.strerror}") from None
        call.output.good(f"{call.reference}: an InferenceService written into {path}")
    call.output.aside(
        "  passwords and keys are left out: name a secret with --secret"
        if call.secret is None
        else f"  passwords and keys come from the secret {call.secret}"
    )


COMMANDS = {
    "init": Command(
        _init, arguments=_init_arguments, examples="detent init\ndetent init /srv/models"
    ),
    "register": Command(
        _register,
        arguments=_register_arguments,
        changes=True,
        examples="""
detent register churn model.skops --data s3-export/2026-02.parquet --note "more rows"
detent register detector weights/
""",
    ),
    "compile": Command(
        _compile,
        arguments=_compile_arguments,
        changes=True,
        examples="""
detent compile churn/7
detent compile churn/7 --with treelite --data holdout.csv --target churned
""",
    ),
    "import": Command(
        _import,
        arguments=_import_arguments,
        changes=True,
        final=True,
        examples="""
detent import old-models --dry-run
detent import old-models --model churn --yes
""",
    ),
    "export": Command(
        _export,
        arguments=_export_arguments,
        changes=True,
        examples="""
detent export churn@production deploy/churn
detent export --kserve churn@production --image registry.example/churn-server:1 > churn.yaml
""",
    ),
}
