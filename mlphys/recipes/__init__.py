"""Recipes: training runs of wave functions that anybody can repeat, by a name and a seed.

Nothing is built, and torch is not loaded, before a recipe is started.
"""

from mlphys.recipes.entries import RECIPES
from mlphys.recipes.recipe import Recipe, Stage
from mlphys.recipes.training import Training, append, load, start, train

__all__ = ["RECIPES", "Recipe", "Stage", "Training", "append", "load", "start", "train"]
