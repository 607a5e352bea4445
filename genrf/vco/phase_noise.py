"""stub"""
def signoff_phase_noise(*a): raise NotImplementedError
