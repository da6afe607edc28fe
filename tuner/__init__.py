"""Thaw's `tuner`: search hyperparameters of transfer-learned image classifiers.

>>> from tuner import search, load
"""
