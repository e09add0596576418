"""The genn backend: the same Program as models of GeNN, for CUDA, HIP and its CPU backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.backends.base import Backend, Opened
from snnrun.backends.genn.backend import GennBackend
from snnrun.backends.genn.build import Built, Target, build_model
from snnrun.backends.genn.compilers import compiler_for, flags_for
from snnrun.backends.genn.describe import describe
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.device import Device, out_of_memory
from snnrun.backends.genn.driver import cuda_devices, free_memory
from snnrun.backends.genn.events import EventTables
from snnrun.backends.genn.memory import require_memory
from snnrun.backends.genn.online import GennOnlineBackend
from snnrun.backends.genn.online_synapse import describe_online
from snnrun.backends.genn.pygenn import (
    choose_device,
    import_pygenn,
    require_toolkit,
    version_of_pygenn,
)
from snnrun.backends.genn.settings import CPU, Settings, at_once
from snnrun.backends.native.build import cache_folder
from snnrun.compile.arrivals import late_steps
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import BuildError, ConfigError
from snnrun.rules.learning import Engine

NAMES = {"cuda": "CUDA", "hip": "HIP", CPU: "its single-threaded CPU backend"}


def require_genn(config: Config) -> tuple[Any, str]:
    """Return PyGeNN and its backend to use.

    Raises:
        BuildError: What it needs is missing.
        ConfigError: Compiler or flags are none that it can be given.
    """
    pygenn = import_pygenn()
    device = choose_device(pygenn, config.backend.device)
    require_toolkit(device)
    if config.backend.cuda_graph and device != "cuda":
        raise ConfigError(
            f"backend.cuda_graph=true: CUDA alone has graphs, and the device here is {device}; use "
            "backend.cuda_graph=false, or backend.device=cuda"
        )
    compiler = compiler_for(device, config.backend.compiler)
    flags_for(device, compiler, config.backend.flags, optimize=config.backend.optimize_code)
    count, number = len(cuda_devices()), config.backend.device_id
    if device == "cuda" and config.CUDA_VISIBLE_DEVICES and number >= count:
        raise BuildError(
            f"backend.device_id={number}: there are {count} GPUs, with numbers from 0; the "
            "environment's CUDA_VISIBLE_DEVICES chooses which are visible"
        )
    return pygenn, device


def open_genn(
    program: Program,
    config: Config,
    code: Path,
    data: Sequence[SpikeData],
    say: Callable[[str], None] = lambda text: None,
) -> Opened:
    """Build ``program`` with GeNN, its code in the folder ``code``, and load ``data``.

    Raises:
        BuildError: PyGeNN, its backend or a compiler is missing or fails, or memory ran out.
        ConfigError: The GPU has not the memory for it, or settings do not go together.
    """
    started = time.monotonic()
    pygenn, device = require_genn(config)
    settings = settings_of(program, config, device)
    target = target_of(pygenn, config, device)
    if settings.pipeline and program.average_spikes and settings.batch < config.N_BATCH:
        raise ConfigError(
            f"PIPELINE=true: averaging spikes over a mini-batch (AVG_SNSUM) needs all of its "
            f"examples at once, and {NAMES[device]} runs {settings.batch} of N_BATCH="
            f"{config.N_BATCH}; use PIPELINE=false"
        )
    try:
        description = description_of(program, settings)
    except MemoryError as error:
        raise out_of_memory(error) from error
    free = free_memory_of(config, device)
    require_memory(description, free(), room_for(program, data))
    say(f"building {program.network.shape} with GeNN {version_of_pygenn()} for {NAMES[device]}")
    built = build_model(
        pygenn,
        description,
        target,
        code,
        cache_folder(config.backend.cache_dir),
        only_cached=not config.BUILD,
    )
    drop_spikes = config.backend.on_full_buffer == "report"
    backend: Backend
    if program.engine is Engine.ONLINE:
        backend = load_online(built, description, program, settings, data)
    else:
        backend = load(
            built, description, program, settings, data, drop_spikes=drop_spikes, free=free
        )
    seconds = time.monotonic() - started
    how = "from the build cache" if built.cached else f"built in {seconds:.1f} s"
    say(f"program ready: {how}")
    order = "pipelined" if settings.pipeline else f"{settings.batch} at once"
    return Opened(
        backend=backend,
        description=(
            f"GeNN {version_of_pygenn()} for {NAMES[device]}, {settings.precision}, {order}; "
            f"{target.compiler.version}; {how}"
        ),
        files={"code": str(built.folder), "compiler": target.command},
    )


def settings_of(program: Program, config: Config, device: str) -> Settings:
    """Return what the configuration chooses of a model that runs on ``device``."""
    return Settings(
        batch=at_once(device, config.N_BATCH),
        precision=config.backend.precision,
        spikes=min(config.N_MAX_SPIKE, program.steps),  # a neuron spikes once in a step
        pipeline=config.PIPELINE,
        traced=bool(config.REC_NEURONS or config.FANCY_PLOTS),
        delay_width=config.DELAY_WIDTH,
        late_steps=late_steps(program, config.DELAY_WIDTH) if config.OPERATION_COUNTS else None,
    )


def description_of(program: Program, settings: Settings) -> Description:
    """Return the GeNN model of ``program``, which learns by gradients or online."""
    write = describe_online if program.engine is Engine.ONLINE else describe
    return write(program, settings)


def free_memory_of(config: Config, device: str) -> Callable[[], int | None]:
    """Return what tells the free bytes of the GPU that runs, where that can be known."""
    number = config.backend.device_id if config.CUDA_VISIBLE_DEVICES else None
    return (lambda: free_memory(number)) if device == "cuda" else (lambda: None)


def room_for(program: Program, data: Sequence[SpikeData]) -> dict[tuple[str, str], int]:
    """Return how many entries the tables of events need: (population, table) -> entries."""
    if program.engine is Engine.ONLINE:  # they hold one example
        return {}
    source = program.network.input
    events = EventTables(source.size, data)
    sizes = {"event_step": events.event_capacity, "channel_start": events.row_capacity}
    return {(source.name, table): size for table, size in sizes.items()}


def target_of(pygenn: Any, config: Config, device: str) -> Target:
    """Return what the configuration builds for."""
    backend = config.backend
    preferences: dict[str, Any] = {}
    # The reference's switch: GPUs by their number among the visible ones, or GeNN's own choice
    by_number = config.CUDA_VISIBLE_DEVICES
    if device == "cuda":  # GeNN's HIP backend knows numbers only
        select = pygenn.cuda_backend.DeviceSelect
        preferences["device_select_method"] = select.MANUAL if by_number else select.OPTIMAL
    if device != CPU and by_number:
        preferences["manual_device_id"] = backend.device_id
    return Target(
        device=device,
        compiler=compiler_for(device, backend.compiler),
        flags=tuple(backend.flags),
        optimize=backend.optimize_code,
        preferences=preferences,
        timing=config.TIMING,
        graphs=backend.cuda_graph,
    )


def open_for_check(
    program: Program,
    folder: Path,
    data: Sequence[SpikeData],
    settings: Settings,
    *,
    device: str | None = None,
    compiler: str | None = None,
    flags: Sequence[str] = (),
    cache: str | None = None,
    only_cached: bool = False,
    graphs: bool = False,
) -> GennBackend:
    """Build ``program`` with IEEE arithmetic, its code in ``folder``, and load it.

    On a GPU ``settings.batch`` examples run at once; GeNN's CPU backend takes one. ``graphs``: on
    CUDA, the steps of a pass are one launch.
    """
    pygenn = import_pygenn()
    chosen = choose_device(pygenn, device)
    require_toolkit(chosen)
    target = Target(
        device=chosen, compiler=compiler_for(chosen, compiler), flags=tuple(flags), graphs=graphs
    )
    settings = replace(settings, batch=at_once(chosen, settings.batch))
    description = describe(program, settings)
    built = build_model(
        pygenn, description, target, folder, cache_folder(cache), only_cached=only_cached
    )
    return load(built, description, program, settings, data)


def load(
    built: Built,
    description: Description,
    program: Program,
    settings: Settings,
    data: Sequence[SpikeData],
    *,
    drop_spikes: bool = False,
    free: Callable[[], int | None] = lambda: None,
) -> GennBackend:
    """Load a built model with room for ``data``; ``free`` returns the device's free bytes."""
    source = program.network.input
    events = EventTables(source.size, data)
    tables = built.groups[source.name].extra_global_params
    tables["event_step"].set_init_values(np.zeros(events.event_capacity, np.uint16))
    tables["channel_start"].set_init_values(np.zeros(events.row_capacity, np.uint32))
    device = Device(
        built.model,
        built.groups,
        description,
        apart=built.target.device != CPU,
        free=free,
        graphs=built.target.graphs,
    )
    return GennBackend(device, description, program, settings, events, drop_spikes=drop_spikes)


def load_online(
    built: Built,
    description: Description,
    program: Program,
    settings: Settings,
    data: Sequence[SpikeData],
) -> GennOnlineBackend:
    """Load a built model that learns online, with room for any example of ``data``."""
    source, output = program.network.input.name, program.populations[-1].population.name
    events = [np.diff(one.offsets).max(initial=1) for one in data]
    due = [np.diff(one.targets.offsets).max(initial=1) for one in data if one.targets is not None]
    for owner, table, counts in ((source, "event_step", events), (output, "target_step", due)):
        room = np.zeros(max(counts, default=1), np.uint16)
        built.groups[owner].extra_global_params[table].set_init_values(room)
    device = Device(built.model, built.groups, description, apart=built.target.device != CPU)
    return GennOnlineBackend(device, program, settings)
