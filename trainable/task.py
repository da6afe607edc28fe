"""What is to be told of an image: any number of labels, or exactly one class."""

from typing import Literal

Task = Literal["multilabel", "multiclass"]
TaskChoice = Literal["auto", "multilabel", "multiclass"]
"""`auto`: as the data look"""
