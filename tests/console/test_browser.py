from tests.console.conftest import Windows, shoot
from tests.console.house import EXPORT, PAYMENT

async def test_smoke(windows: Windows) -> None:
    page = await windows.sign_in()
    await shoot(page, "empty")
    await windows.served.s1.defer(authorization_details=[PAYMENT|{"reason":"Invoice 2026-1187 for November. Please release it today."}], resource="https://ledger.example")
    await windows.served.s1.defer(authorization_details=[EXPORT, PAYMENT], scope="read write")
    await page.reload()
    await shoot(page, "inbox")
