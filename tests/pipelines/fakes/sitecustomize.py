"""Puts quick stand-ins in the place of the steps' functions, in every process that has this folder on its path."""

import importlib.abc
import importlib.machinery
import sys

TABLE = "training.config.steps"


class Finder(importlib.abc.MetaPathFinder):
    """Finds the table of steps where it is, and lets it name stand-ins once it is loaded."""

    def find_spec(self, fullname, path=None, target=None):
        """See `importlib.abc.MetaPathFinder`."""
        if fullname != TABLE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        execute = spec.loader.exec_module

        def execute_and_replace(module):
            execute(module)
            real = module.StepDefinition.load
            real_report = module.StepDefinition.write_report

            def write_report(step, result, folder):
                from quick import PAGES, write_page

                (real_report if step.name in PAGES else write_page)(step, result, folder)

            def load(step):
                from quick import REAL, stand_in

                return real(step) if step.name in REAL else stand_in(step)

            module.StepDefinition.load = load
            module.StepDefinition.write_report = write_report

        spec.loader.exec_module = execute_and_replace
        return spec


sys.meta_path.insert(0, Finder())
