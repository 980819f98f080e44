# SPDX-License-Identifier: Apache-2.0
"""Scripted peers for the black-box tests: they record everything and can break any rule."""
