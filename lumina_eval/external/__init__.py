"""Images, verdicts and features that were made elsewhere: judged and added up like our own."""
