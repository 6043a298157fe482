"""The forewarner: trained on what configurations lost, calibrated, judged on windows that it has not seen."""
