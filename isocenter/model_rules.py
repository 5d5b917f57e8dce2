"""What the settings say of when models run on what arrives: [[inference.rules]]."""

from collections.abc import Collection, Sequence
from datetime import datetime

from inference.triggers import Ruling
from inference.workitems import Priority
from isocenter.inference_settings import EVERY, ModelRuleSettings
from isocenter.routing.rules import fits, meets
from isocenter.routing.settings import matched, windows_of
from isocenter.routing.windows import opening
from storage.pixels.attributes import Attributes


class ModelRules:
    """The rules of an installation; the first that fits says what is done."""

    def __init__(self, rules: Sequence[ModelRuleSettings]) -> None:
        self._rules = tuple(rules)

    def of(self, model: str) -> tuple[ModelRuleSettings, ...]:
        """The rules about a model, in the order in which they are asked."""
        return tuple(rule for rule in self._rules if rule.model in {EVERY, model})

    def unknown(self, models: Collection[str]) -> list[str]:
        """Names in rules that are none of `models`."""
        return sorted({rule.model for rule in self._rules} - {EVERY, *models})

    def __call__(self, model: str, sender: str, header: Attributes, now: datetime) -> Ruling:
        """What is done with a series of which `header` is one image (`inference.triggers.Rules`)."""
        for rule in self.of(model):
            if (not rule.source or fits(rule.source, [sender])) and meets(matched(rule.match), header):
                begins = opening(windows_of(rule.hours), now)
                return Ruling(begins, Priority[rule.priority.upper()], run=rule.run)
        return Ruling(now)
