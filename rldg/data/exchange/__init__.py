"""Data sets that go to other tools and come from them: LeRobot, robomimic, RLDS of any making, SERL's pickles."""
