"""Work items as Unified Procedure Steps for others: data sets, requests, searches, reports (PS3.4 CC)."""
