"""Any file a customer has becomes canonical text with true row numbers; nothing is lost unseen."""
