"""Policies, stations and people behind a socket: servers and pages."""
