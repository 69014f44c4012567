// Sends the answer on without a click; the button does the same where no script runs.
document.getElementById("onward").submit();
