"""The places and names of the made-up survey. The places are real, the people are not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class District:
    """A district with its state, its centre on the map, and its blocks."""

    state: str
    name: str
    latitude: float
    longitude: float
    blocks: tuple[str, ...]


DISTRICTS: tuple[District, ...] = (
    District("Bihar", "Gaya", 24.79, 85.00, ("Bodh Gaya", "Sherghati", "Tekari", "Wazirganj", "Manpur")),
    District("Bihar", "Purnia", 25.78, 87.47, ("Banmankhi", "Kasba", "Dhamdaha", "Amour", "Baisi")),
    District("Uttar Pradesh", "Sitapur", 27.57, 80.68, ("Biswan", "Laharpur", "Sidhauli", "Misrikh", "Hargaon")),
    District("Uttar Pradesh", "Bahraich", 27.57, 81.59, ("Nanpara", "Kaiserganj", "Payagpur", "Mihinpurwa")),
    District("Rajasthan", "Udaipur", 24.58, 73.68, ("Gogunda", "Kotra", "Jhadol", "Salumber", "Girwa")),
    District("Rajasthan", "Barmer", 25.75, 71.39, ("Baytu", "Chohtan", "Sheo", "Siwana")),
    District("Madhya Pradesh", "Dhar", 22.60, 75.30, ("Kukshi", "Manawar", "Sardarpur", "Badnawar")),
    District("Madhya Pradesh", "Mandla", 22.60, 80.37, ("Nainpur", "Bichhiya", "Niwas", "Ghughri")),
    District("Odisha", "Koraput", 18.81, 82.71, ("Jeypore", "Semiliguda", "Laxmipur", "Boipariguda", "Kotpad")),
    District("Odisha", "Kalahandi", 19.91, 83.17, ("Bhawanipatna", "Junagarh", "Lanjigarh", "Narla")),
    District("Maharashtra", "Nandurbar", 21.37, 74.24, ("Akkalkuwa", "Dhadgaon", "Navapur", "Shahada", "Taloda")),
    District("Maharashtra", "Gadchiroli", 20.18, 80.00, ("Aheri", "Armori", "Kurkheda", "Etapalli")),
    District("Jharkhand", "Dumka", 24.27, 87.25, ("Jama", "Jarmundi", "Masalia", "Ramgarh", "Shikaripara")),
    District("Chhattisgarh", "Bastar", 19.07, 82.03, ("Bakawand", "Darbha", "Lohandiguda", "Tokapal")),
    District("Andhra Pradesh", "Anantapur", 14.68, 77.60, ("Kadiri", "Hindupur", "Gooty", "Dharmavaram")),
    District("Karnataka", "Raichur", 16.20, 77.36, ("Manvi", "Sindhanur", "Lingsugur", "Devadurga")),
    District("Assam", "Dhubri", 26.02, 89.98, ("Bilasipara", "Chapar", "Golakganj", "Gauripur")),
    District("Gujarat", "Dahod", 22.83, 74.25, ("Jhalod", "Limkheda", "Fatepura", "Garbada")),
)

VILLAGE_STEMS = (
    "Ram", "Shiv", "Kishan", "Sultan", "Bhawani", "Chand", "Dev", "Fateh", "Gopal", "Hari", "Jagdish", "Kamal",
    "Laxmi", "Madho", "Narayan", "Pratap", "Raghunath", "Sundar", "Tara", "Uday", "Vijay", "Moti", "Govind", "Surya",
)  # fmt: skip
VILLAGE_ENDINGS = ("pur", "garh", "nagar", "ganj", "khera", "gaon", "wadi", "pali", "guda", "tola")

GIVEN_NAMES = {
    "F": (
        "Asha", "Sunita", "Meena", "Kavita", "Rekha", "Lakshmi", "Savitri", "Geeta", "Pooja", "Anjali", "Fatima",
        "Shabnam", "Radha", "Usha", "Mamta", "Sarita", "Kamla", "Parvati", "Neha", "Rukmini", "Sabitri", "Malati",
    ),
    "M": (
        "Ramesh", "Suresh", "Mahesh", "Rajesh", "Mukesh", "Dinesh", "Santosh", "Manoj", "Vijay", "Ajay", "Imran",
        "Salim", "Arjun", "Mohan", "Gopal", "Kishore", "Bhola", "Jagat", "Prakash", "Ravi", "Lakhan", "Birsa",
    ),
    "O": ("Kiran", "Chandni", "Roshni", "Jyoti", "Noor", "Sitara"),
}  # fmt: skip
FAMILY_NAMES = (
    "Kumar", "Devi", "Singh", "Yadav", "Sharma", "Patel", "Khan", "Das", "Paswan", "Verma", "Meena", "Bhil", "Gond",
    "Munda", "Soren", "Naik", "Reddy", "Gowda", "Pawar", "Rathod", "Sahu", "Mondal", "Ansari", "Majhi", "Hembrom",
)  # fmt: skip

STATUSES = ("complete", "partial", "absent", "refused")
STATUS_WEIGHTS = (88, 6, 4, 2)
