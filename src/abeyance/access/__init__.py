"""What may be done: scope, resources, `authorization_details`, lifetime - and "not wider than"."""

from abeyance.access.access import Access as Access
from abeyance.access.details import DetailsType as DetailsType
from abeyance.access.details import DetailsTypes as DetailsTypes
from abeyance.access.narrowing import Wider as Wider
from abeyance.access.narrowing import check_not_wider as check_not_wider
from abeyance.access.narrowing import intersect as intersect
