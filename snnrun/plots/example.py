"""Running the example that the raster shows."""

from __future__ import annotations

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets.feed import feed
from snnrun.datasets.spikes import Splits
from snnrun.plots.raster import Example, Spikes, target_spikes, titled

POTENTIAL = "V"


class OneExample:
    """The first example of the validation set, or of the training's first epoch without one."""

    def __init__(self, config: Config, splits: Splits, backend: Backend) -> None:
        split = splits.train if splits.validation is None else splits.validation
        self._name = split.name
        with feed(config, splits, split, epochs=1) as examples:
            self._served = examples.serve(0, 0, 1)
        self._class_names = split.data.class_names
        self._backend = backend
        self._dt = config.DT_MS

    def run(self, of: str, when: str) -> Example:
        """Run it with the network as it is; ``of`` which run and ``when`` are for the title."""
        served, program = self._served, self._backend.program
        trial = self._backend.trial(served.data, int(served.examples[0]))
        network = program.network
        spikes = [
            Spikes(
                population="input",
                size=network.input.size,
                times_ms=trial.input_steps * self._dt,
                ids=trial.input_channels,
            )
        ]
        spikes += [  # emitted at the end of their step
            Spikes(
                population=compiled.population.name,
                size=compiled.population.size,
                times_ms=(steps + 1) * self._dt,
                ids=ids,
            )
            for compiled, steps, ids in zip(
                program.populations, trial.steps, trial.neurons, strict=True
            )
            if compiled.spiking
        ]
        targets = served.data.targets
        states = {} if program.populations[-1].spiking else trial.states[-1]
        outputs = program.populations[-1].population.size
        title = f"{of}: example {served.numbers[0]} of {self._name} {when}"
        example = Example(
            title=title,
            trial_ms=program.duration,
            label=int(served.labels[0]) if program.task.classes else -1,
            prediction=trial.prediction,
            spikes=spikes,
            target=target_spikes(targets, int(served.examples[0]), outputs, self._dt),
            potentials=states.get(POTENTIAL, next(iter(states.values()), None)),
            class_names=self._class_names,
        )
        return titled(example)
