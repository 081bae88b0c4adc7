"""Engines only move batches: the protocol (base) and one engine a file."""
